"""What is wrong: findings from the rows of the northbound, from chassis, and from traces."""
