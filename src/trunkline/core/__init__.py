"""The pure core: values, views, flows, the pipeline and the plan. It imports only the standard library."""
