namespace VoicePlatform.MediaServer.Sip.Media.Codecs;

/// <summary>Turns packets into sound. One thread at a time; allocates nothing after its construction.</summary>
internal interface IVoiceDecoder : IDisposable
{
    /// <summary>Longest packet that is decoded; of a longer one the rest is left out.</summary>
    const int MaxMilliseconds = 120;

    /// <summary>Samples a second.</summary>
    int Rate { get; }

    /// <summary>Decodes one packet; returns its samples, 0 when it is malformed.</summary>
    /// <param name="payload">As it came.</param>
    /// <param name="pcm">Room for <see cref="MaxMilliseconds"/>.</param>
    int Decode(ReadOnlySpan<byte> payload, Span<short> pcm);

    /// <summary>Makes up sound for a packet that did not come, from what the codec knows; false when it knows nothing.</summary>
    /// <param name="next">The packet after it where that is there already (it may carry a copy), else empty.</param>
    /// <param name="pcm">20 ms.</param>
    bool TryConceal(ReadOnlySpan<byte> next, Span<short> pcm);
}

/// <summary>Turns sound into packets. One thread at a time; allocates nothing after its construction.</summary>
internal interface IVoiceEncoder : IDisposable
{
    /// <summary>Samples a second.</summary>
    int Rate { get; }

    /// <summary>Encodes one packet; returns its bytes.</summary>
    /// <param name="pcm">10, 20, 40 or 60 ms.</param>
    /// <param name="payload">Room for the packet.</param>
    int Encode(ReadOnlySpan<short> pcm, Span<byte> payload);
}
