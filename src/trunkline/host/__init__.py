"""This host: the files and sockets that daemons make on it."""
