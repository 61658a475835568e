"""The command line: everything is imported when a command needs it, so that `guidepost --help` is quick."""
