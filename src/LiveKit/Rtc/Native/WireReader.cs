namespace VoicePlatform.LiveKit.Rtc.Native;

/// <summary>Walks the fields of a protobuf message without allocating. Malformed input ends the walk.</summary>
internal ref struct WireReader(ReadOnlySpan<byte> message)
{
    private ReadOnlySpan<byte> _rest = message;

    public int Field { get; private set; }

    /// <summary>The value of a varint field.</summary>
    public ulong Value { get; private set; }

    /// <summary>The content of a length-delimited field; empty for others.</summary>
    public ReadOnlySpan<byte> Bytes { get; private set; }

    /// <summary>Moves to the next field; false at the end, and at anything that is not protobuf.</summary>
    public bool Next()
    {
        Value = 0;
        Bytes = default;
        if (!TryVarint(out var tag) || tag >> 3 is 0 or > 0x1FFFFFFF)
        {
            return false;
        }

        Field = (int)(tag >> 3);
        switch (tag & 7)
        {
            case 0:
                var isVarint = TryVarint(out var value);
                Value = value;
                return isVarint;
            case 1:
                return TrySkip(8);
            case 5:
                return TrySkip(4);
            case 2 when TryVarint(out var length) && length <= (ulong)_rest.Length:
                Bytes = _rest[..(int)length];
                _rest = _rest[(int)length..];
                return true;
            default:
                return false;
        }
    }

    private bool TrySkip(int length)
    {
        if (_rest.Length < length)
        {
            return false;
        }

        _rest = _rest[length..];
        return true;
    }

    private bool TryVarint(out ulong value)
    {
        value = 0;
        for (var i = 0; i < _rest.Length && i < 10; i++)
        {
            value |= (ulong)(_rest[i] & 0x7F) << (7 * i);
            if (_rest[i] < 0x80)
            {
                _rest = _rest[(i + 1)..];
                return true;
            }
        }

        return false;
    }
}
