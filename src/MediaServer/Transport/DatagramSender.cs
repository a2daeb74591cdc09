namespace VoicePlatform.MediaServer.Transport;

/// <summary>Hands one datagram to the layer below.</summary>
internal delegate void DatagramSender(ReadOnlySpan<byte> datagram);
