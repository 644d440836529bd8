"""Other people's programs: those that a study is copied to. Each is imported when it is used."""
