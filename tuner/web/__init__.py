"""The dashboard application; its entry point is `tuner.web.serve`."""
