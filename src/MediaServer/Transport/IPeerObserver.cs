namespace VoicePlatform.MediaServer.Transport;

/// <summary>
/// What a peer connection reports. Called on the transport's own threads: an implementation must not block and must not throw,
/// and copies what it keeps.
/// </summary>
internal interface IPeerObserver
{
    /// <summary>
    /// Connecting → Connected (ICE and DTLS are up); Connected → Disconnected (silent for the consent timeout) → Connected (came back,
    /// also by ICE restart); Failed (DTLS or SCTP broke for good); Closed.
    /// </summary>
    void OnStateChanged(PeerState state);

    /// <summary>
    /// False while it takes no more messages of data channels: the client then has to wait, as its data stays unacknowledged. Asked
    /// again every 10 ms.
    /// </summary>
    bool IsReady => true;

    /// <summary>One whole message of a data channel.</summary>
    void OnData(DataChannelKind channel, ReadOnlySpan<byte> message);

    /// <summary>The client opened a channel: from now on <see cref="PeerConnection.SendData"/> can use it.</summary>
    void OnDataChannelOpen(DataChannelKind channel);

    /// <summary>The first RTP packet of a published section arrived.</summary>
    void OnAudioStarted(InboundAudio audio);
}

internal enum PeerState
{
    Connecting,
    Connected,
    Disconnected,
    Failed,
    Closed,
}

internal enum DataChannelKind
{
    Reliable,
    Lossy,
    DataTrack,
}

/// <summary>Receives the Opus frames of a published track inside this process (telephone gateway, recording).</summary>
internal interface IAudioSink
{
    /// <summary>
    /// One Opus frame, in order and each once; frames lost on the way are skipped (or were recovered from RED). Called on the receive
    /// thread: must not block, must not throw, copies what it keeps.
    /// </summary>
    void OnFrame(ushort sequence, uint timestamp, ReadOnlySpan<byte> opus);
}
