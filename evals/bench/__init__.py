"""What Suture costs on this machine: `python -m evals.bench` prints it. Each file measures one part."""
