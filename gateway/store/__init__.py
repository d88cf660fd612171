"""The only SQL of jiesu: engines, migrations, and one file a subject."""
