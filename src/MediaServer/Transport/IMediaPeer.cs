namespace VoicePlatform.MediaServer.Transport;

/// <summary>What carries a participant's audio and data: a WebRTC connection, or code inside this process (telephone leg, recorder).</summary>
internal interface IMediaPeer : IAsyncDisposable
{
    PeerState State { get; }

    PeerStats Stats { get; }

    /// <summary>A change waits for the client's next offer.</summary>
    bool NeedsNegotiation { get; }

    /// <summary>Audio sections that the client's next offer should have more.</summary>
    int MissingAudioSections { get; }

    /// <summary>The channel for reliable data is open.</summary>
    bool IsReliableOpen { get; }

    /// <summary>Sends one message; false when it cannot be taken now.</summary>
    bool SendData(DataChannelKind channel, ReadOnlySpan<byte> message);

    /// <summary>Begins to hand on a track.</summary>
    /// <param name="source">The track as it arrives.</param>
    /// <param name="streamId">Publisher and track, as clients find them in the stream's id.</param>
    /// <param name="trackSid">The track's id.</param>
    Subscription Subscribe(InboundAudio source, string streamId, string trackSid);

    void Unsubscribe(Subscription subscription);
}
