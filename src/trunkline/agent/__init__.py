"""The chassis daemon: the imperative shell around core and apps."""
