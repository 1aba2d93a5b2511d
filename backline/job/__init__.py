"""Around a program of the cluster: start it, pass signals on, meet the other nodes, say why."""
