# A runner on this host, by its data dir; its settings come along.
terraform import batch_runner.main local:/var/lib/batch-runner

# A runner that somebody else installed, by its endpoint.
terraform import batch_runner.shared existing:https://runner.example.com:7443
