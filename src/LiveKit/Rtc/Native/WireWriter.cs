namespace VoicePlatform.LiveKit.Rtc.Native;

/// <summary>
/// Writes the few protobuf messages of the audio path into a buffer on the stack, for generated messages would be garbage fifty times
/// a second and session. Only varint fields and nested messages shorter than 128 bytes.
/// </summary>
internal ref struct WireWriter(Span<byte> buffer)
{
    private readonly Span<byte> _buffer = buffer;
    private int _length;

    public readonly ReadOnlySpan<byte> Written => _buffer[.._length];

    public void Varint(int field, ulong value)
    {
        Raw((uint)field << 3);
        Raw(value);
    }

    /// <summary>Opens a nested message; hand the result to <see cref="End"/>.</summary>
    public int Begin(int field)
    {
        Raw(((uint)field << 3) | 2);
        return ++_length;
    }

    public readonly void End(int begun)
    {
        var length = _length - begun;
        _buffer[begun - 1] = length < 128 ? (byte)length : throw new InvalidOperationException("The message is too long for one byte of length.");
    }

    private void Raw(ulong value)
    {
        while (value >= 0x80)
        {
            _buffer[_length++] = (byte)(value | 0x80);
            value >>= 7;
        }

        _buffer[_length++] = (byte)value;
    }
}
