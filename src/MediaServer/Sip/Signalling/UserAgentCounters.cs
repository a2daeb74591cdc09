namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>What came in and what was refused, for diagnosis.</summary>
internal sealed class UserAgentCounters
{
#pragma warning disable CA1051 // fields, for Interlocked
    /// <summary>Messages that could be read.</summary>
    public long Messages;

    /// <summary>Datagrams and streams that were no SIP and got no answer.</summary>
    public long Rubbish;

    /// <summary>Answered 400.</summary>
    public long Malformed;

    /// <summary>Requests dropped because their source sent too many.</summary>
    public long DroppedFlood;

    /// <summary>Messages dropped because a call had too many waiting.</summary>
    public long DroppedFull;

    /// <summary>Calls refused with 503 by the limits.</summary>
    public long RefusedFull;

    /// <summary>Responses nobody waited for.</summary>
    public long Strays;

    public long ConnectionsRefused;

    public long Retransmissions;

    public long SendFailed;

    /// <summary>Exceptions caught at the outer edge of a loop: each is a bug.</summary>
    public long Faults;
#pragma warning restore CA1051

#pragma warning disable CA1822 // reads as what it does to the counters
    public void Count(ref long counter) => Interlocked.Increment(ref counter);
#pragma warning restore CA1822
}
