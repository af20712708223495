"""Generated from protos/ by ``make proto``; never edited.

Owns Falco's messages as protobuf's Python writes them. Refuses every importer
but the decoder, the gRPC source and the simulator.
"""
