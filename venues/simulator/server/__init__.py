"""The market model behind real servers: the venues' WebSocket and REST protocols on loopback.

In: frames of the market model or of captures. Out: what subscribers of each venue get, REST answers
made of the same bytes, and a control endpoint by which faults are planted and the truth is read.
"""
