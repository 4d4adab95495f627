"""Studies: the replay compared with claims, recordings and measurements, and the fits that it rests on."""
