"""This host: the files and sockets that daemons create on it."""
