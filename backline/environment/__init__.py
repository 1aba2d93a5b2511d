"""What a program was started from and in: its code, its packages, its machine; secrets masked."""
