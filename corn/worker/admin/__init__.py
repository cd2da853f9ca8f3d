"""The admin process: corn's own application for monitoring, served by corn's own worker code."""
