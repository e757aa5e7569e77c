"""The northbound's own server: its process, its file, its cluster."""
