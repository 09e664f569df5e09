"""Where documents come from beside the folders of the settings: folders, git repositories, exported pages.

`source.py` says what a source is, `folder.py`, `archive.py` and `git.py` read pages, `importing.py` makes documents of
them, `store.py` keeps them, `syncing.py` brings one source up to date.
"""
