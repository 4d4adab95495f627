"""Studies: what was claimed, recorded and measured, held against the replay, and the fits it rests on."""
