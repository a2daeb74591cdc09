using System.Threading.Tasks.Sources;
using VoicePlatform.LiveKit.Rtc.Ffi;
using VoicePlatform.LiveKit.Rtc.Native;

namespace VoicePlatform.LiveKit.Rtc;

/// <summary>The form in which a remote track's audio is wanted; the library resamples and mixes.</summary>
/// <param name="SampleRate">Samples per second and channel.</param>
/// <param name="Channels">1 or 2, interleaved.</param>
/// <param name="FrameMs">Length of a frame in ms, 10 to 100, a multiple of 10.</param>
/// <param name="QueueFrames">Frames that wait for a slow reader; then the oldest goes, and is counted.</param>
public sealed record AudioStreamFormat(int SampleRate = 16_000, int Channels = 1, int FrameMs = 20, int QueueFrames = 50)
{
    /// <summary>Samples of a frame over all channels.</summary>
    public int FrameLength => SampleRate * FrameMs / 1000 * Channels;
}

/// <summary>
/// The audio of a remote track, in real time, silence included. One reader. Frames wait in a ring: when the reader falls behind, the
/// oldest frame makes room and <see cref="DroppedFrames"/> counts it.
/// </summary>
public sealed class RemoteAudioStream : IDisposable, IValueTaskSource<int>, IThreadPoolWorkItem
{
    private readonly FfiClient? _client;
    private readonly FfiHandle? _handle;
    private readonly Lock _gate = new();
    private readonly short[] _ring;
    private readonly int[] _lengths;
    private ManualResetValueTaskSourceCore<int> _ready;
    private CancellationTokenRegistration _registration;
    private Memory<short> _destination;
    private int _first;
    private int _count;
    private bool _waiting;
    private bool _signalled;
    private bool _ended;
    private long _dropped;

    internal RemoteAudioStream(FfiClient client, ulong trackHandle, AudioStreamFormat format)
        : this(format)
    {
        var request = new NewAudioStreamRequest
        {
            TrackHandle = trackHandle,
            Type = AudioStreamType.AudioStreamNative,
            SampleRate = (uint)format.SampleRate,
            NumChannels = (uint)format.Channels,
            FrameSizeMs = (uint)format.FrameMs,
            QueueSizeFrames = (uint)format.QueueFrames,
        };
        _client = client;
        _handle = new FfiHandle(client.Send(new FfiRequest { NewAudioStream = request }).NewAudioStream.Stream.Handle);
        client.Listen(_handle.Id, this);
    }

    /// <summary>A stream that is fed by a test.</summary>
    internal RemoteAudioStream(AudioStreamFormat format)
    {
        if (format.SampleRate is < 8_000 or > 48_000 || format.Channels is not (1 or 2)
            || format.FrameMs is < 10 or > 100 || format.FrameMs % 10 != 0 || format.QueueFrames is < 1 or > 1_000)
        {
            throw new ArgumentException($"{format} is outside of what a stream gives.", nameof(format));
        }

        Format = format;
        _ring = new short[format.FrameLength * format.QueueFrames];
        _lengths = new int[format.QueueFrames];
    }

    public AudioStreamFormat Format { get; }

    /// <summary>Frames lost because the reader was too slow.</summary>
    public long DroppedFrames => Interlocked.Read(ref _dropped);

    /// <summary>Copies the next frame, waiting for it if need be. Nothing is allocated.</summary>
    /// <param name="destination">At least <see cref="AudioStreamFormat.FrameLength"/> samples.</param>
    /// <returns>The samples copied; 0 when the track has ended.</returns>
    public ValueTask<int> ReadAsync(Memory<short> destination, CancellationToken cancellationToken)
    {
        if (destination.Length < Format.FrameLength)
        {
            throw new ArgumentException("The destination is shorter than a frame.", nameof(destination));
        }

        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<int>(cancellationToken);
        }

        short version;
        lock (_gate)
        {
            if (_waiting)
            {
                throw new InvalidOperationException("The stream has one reader, and it is already waiting.");
            }

            if (_count > 0 || _ended)
            {
                return ValueTask.FromResult(Take(destination.Span));
            }

            _ready.Reset();
            (_waiting, _signalled, _destination) = (true, false, destination);
            version = _ready.Version;
        }

        _registration = cancellationToken.UnsafeRegister(
            static (state, token) => ((RemoteAudioStream)state!).OnCancelled(token), this);
        return new ValueTask<int>(this, version);
    }

    /// <summary>Stops receiving; a waiting reader gets 0.</summary>
    public void Dispose()
    {
        if (_handle is not null)
        {
            _client!.UnlistenStream(_handle.Id);
            _handle.Dispose();
        }

        OnEnd();
    }

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _ready.GetStatus(token);

    void IValueTaskSource<int>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _ready.OnCompleted(continuation, state, token, flags);

    int IValueTaskSource<int>.GetResult(short token)
    {
        _registration.Dispose();
        return _ready.GetResult(token);
    }

    void IThreadPoolWorkItem.Execute()
    {
        int length;
        lock (_gate)
        {
            if (!_waiting)
            {
                return;
            }

            _waiting = false;
            length = Take(_destination.Span);
            _destination = default;
        }

        _ready.SetResult(length);
    }

    /// <summary>On a thread of the library: copies into the ring and wakes the reader elsewhere, without waiting or allocating.</summary>
    internal unsafe void OnFrame(NativeFrame frame)
    {
        if (frame.Data != 0 && frame.Channels != 0)
        {
            OnSamples(new ReadOnlySpan<short>((void*)frame.Data, (int)(frame.SamplesPerChannel * frame.Channels)));
        }
    }

    internal void OnSamples(ReadOnlySpan<short> samples)
    {
        lock (_gate)
        {
            if (_ended)
            {
                return;
            }

            for (; !samples.IsEmpty; samples = samples[Math.Min(samples.Length, Format.FrameLength)..])
            {
                Put(samples[..Math.Min(samples.Length, Format.FrameLength)]);
            }

            Signal();
        }
    }

    internal void OnEnd()
    {
        lock (_gate)
        {
            _ended = true;
            Signal();
        }
    }

    private void OnCancelled(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (!_waiting || _signalled)
            {
                return;
            }

            _waiting = false;
            _destination = default;
        }

        _ready.SetException(new OperationCanceledException(cancellationToken));
    }

    private void Signal()
    {
        if (_waiting && !_signalled)
        {
            _signalled = true;
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }

    private void Put(ReadOnlySpan<short> samples)
    {
        if (_count == _lengths.Length)
        {
            _first = (_first + 1) % _lengths.Length;
            _count--;
            _dropped++;
        }

        var slot = (_first + _count++) % _lengths.Length;
        _lengths[slot] = samples.Length;
        samples.CopyTo(_ring.AsSpan(slot * Format.FrameLength));
    }

    private int Take(Span<short> destination)
    {
        if (_count == 0)
        {
            return 0;
        }

        var length = _lengths[_first];
        _ring.AsSpan(_first * Format.FrameLength, length).CopyTo(destination);
        _first = (_first + 1) % _lengths.Length;
        _count--;
        return length;
    }
}
