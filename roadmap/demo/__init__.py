"""The demo: an invented insurer with three roadmaps, one per phase. The same every time, and gone with one click."""
