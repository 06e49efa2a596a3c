"""Faces in a running picture: read frames, follow faces, change them, put them back, show them.

source -> reader -> track -> patch -> changes -> patch -> sink; `loop.run` is the whole way.
"""
