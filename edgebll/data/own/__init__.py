"""A user's own data: folders of images, arrays, tables, sounds, and what Python gives; each becomes a `Dataset`."""
