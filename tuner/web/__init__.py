"""The dashboard application; its entry point is `tuner.web.serve`.

Imports nothing itself: the prefetch runs before the application has loaded.
"""
