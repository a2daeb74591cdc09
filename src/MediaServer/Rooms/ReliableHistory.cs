namespace VoicePlatform.MediaServer.Rooms;

/// <summary>
/// The last reliable messages of one sender with their sequence numbers. A sender that resumes repeats what it is not sure of
/// (<see cref="Accept"/> refuses what was seen), a receiver that resumes is given what it missed (<see cref="After"/>).
/// </summary>
internal sealed class ReliableHistory
{
    /// <summary>Bytes kept per sender; older messages are forgotten.</summary>
    public const int Capacity = 1024 * 1024;

    private readonly Queue<Entry> _entries = new();
    private long _bytes;

    /// <summary>The highest sequence number seen; 0: none.</summary>
    public uint Last { get; private set; }

    /// <summary>False when this number was seen before. Messages without a number are always new.</summary>
    public bool Accept(uint sequence)
    {
        if (sequence == 0)
        {
            return true;
        }

        if (sequence <= Last)
        {
            return false;
        }

        Last = sequence;
        return true;
    }

    public void Add(uint sequence, byte[] message, IReadOnlyCollection<string> destinations)
    {
        if (sequence == 0)
        {
            return;
        }

        _entries.Enqueue(new Entry(sequence, message, destinations));
        _bytes += message.Length + Limits.MessageOverhead;
        while (_bytes > Capacity && _entries.TryDequeue(out var oldest))
        {
            _bytes -= oldest.Message.Length + Limits.MessageOverhead;
        }
    }

    /// <summary>What was sent to this identity after a sequence number.</summary>
    public IEnumerable<byte[]> After(uint sequence, string identity) => _entries
        .Where(entry => entry.Sequence > sequence && (entry.Destinations.Count == 0 || entry.Destinations.Contains(identity, StringComparer.Ordinal)))
        .Select(entry => entry.Message);

    private sealed record Entry(uint Sequence, byte[] Message, IReadOnlyCollection<string> Destinations);
}
