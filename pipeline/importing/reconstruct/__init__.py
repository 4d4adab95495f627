"""From neutral events of a recording to the operations of a trace, in bounded memory."""
