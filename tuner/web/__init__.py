"""The dashboard application; its door is `tuner.web.serve`.

Imports nothing itself: the prefetch runs before the application has loaded.
"""
