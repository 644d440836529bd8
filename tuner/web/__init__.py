"""The dashboard application; its door is `tuner.web.serve`.

Imports nothing itself: a look ahead is under way before the application has loaded.
"""
