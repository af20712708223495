"""Where alerts come from: Falco's gRPC server, Falco's http_output, JSON lines."""
