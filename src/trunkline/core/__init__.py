"""The pure heart: values, views, flows, the pipeline and the plan. Standard library only."""
