"""What Prometheus scrapes of a chassis, and what it may do with it. Its peer is Prometheus."""
