"""The northbound's server: its process, its file, its cluster."""
