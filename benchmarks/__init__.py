"""What `bin/bench NAME` runs: each module here but `stack` measures one thing in one run."""
