"""From the program's memory to the portal: the spool on disk, its writer, its sender."""
