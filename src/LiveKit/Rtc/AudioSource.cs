using System.Threading.Tasks.Sources;
using VoicePlatform.LiveKit.Rtc.Ffi;
using VoicePlatform.LiveKit.Rtc.Native;

namespace VoicePlatform.LiveKit.Rtc;

/// <summary>The form of the audio an <see cref="AudioSource"/> takes.</summary>
/// <param name="SampleRate">Samples per second and channel, 8,000 to 48,000.</param>
/// <param name="Channels">1 or 2, interleaved.</param>
/// <param name="QueueMs">How much audio may wait to be sent, in ms, 20 to 2,000; a full queue holds the writer back.</param>
public sealed record AudioSourceFormat(int SampleRate = 24_000, int Channels = 1, int QueueMs = 200);

/// <summary>
/// Audio on its way into a room: captured frames queue here and leave in real time. One writer at a time.
/// </summary>
public sealed class AudioSource : IDisposable, IValueTaskSource, IThreadPoolWorkItem
{
    private const int MaxFrameMs = 1000;

    private readonly FfiClient _client;
    private readonly FfiHandle _handle;
    private readonly TimeProvider _clock;
    private readonly Lock _gate = new();

    // One capture is under way at a time, so one id serves them all and nothing is registered per frame.
    private readonly ulong _captureId;

    // The library reads a frame until its callback, so frames live in memory that neither moves nor goes away.
    private readonly short[] _frame;
    private ManualResetValueTaskSourceCore<bool> _captured;
    private string? _error;
    private bool _busy;
    private bool _disposed;
    private long _playedOutAt;

    internal AudioSource(FfiClient client, AudioSourceFormat format, TimeProvider clock)
    {
        if (format.SampleRate is < 8_000 or > 48_000 || format.Channels is not (1 or 2) || format.QueueMs is < 20 or > 2_000)
        {
            throw new ArgumentException($"{format} is outside of what a source takes.", nameof(format));
        }

        (_client, _clock, Format) = (client, clock, format);
        _frame = GC.AllocateUninitializedArray<short>(format.SampleRate * format.Channels * MaxFrameMs / 1000, pinned: true);
        var request = new NewAudioSourceRequest
        {
            Type = AudioSourceType.AudioSourceNative,
            SampleRate = (uint)format.SampleRate,
            NumChannels = (uint)format.Channels,
            // The library wants whole tens of milliseconds.
            QueueSizeMs = (uint)((format.QueueMs + 9) / 10 * 10),
            Options = new AudioSourceOptions { EchoCancellation = false, NoiseSuppression = false, AutoGainControl = false },
        };
        _handle = new FfiHandle(client.Send(new FfiRequest { NewAudioSource = request }).NewAudioSource.Source.Handle);
        _captureId = client.NextAsyncId();
        client.Listen(_captureId, this);
    }

    public AudioSourceFormat Format { get; }

    /// <summary>An estimate of the audio captured but not yet sent.</summary>
    public TimeSpan QueuedDuration
    {
        get
        {
            var until = Interlocked.Read(ref _playedOutAt) - _clock.GetTimestamp();
            return until <= 0 ? TimeSpan.Zero : _clock.GetElapsedTime(0, until);
        }
    }

    internal ulong Handle => _handle.Id;

    /// <summary>
    /// Queues audio. Ends when the queue has taken it, so a writer that awaits is paced to real time once the queue is full;
    /// <see cref="Clear"/> releases it within some hundredths of a second. The samples are copied, and nothing is allocated.
    /// </summary>
    /// <param name="samples">Interleaved 16-bit PCM, at most one second.</param>
    /// <exception cref="InvalidOperationException">The previous capture has not ended.</exception>
    /// <exception cref="RtcException">The library refused the audio.</exception>
    public ValueTask CaptureAsync(ReadOnlyMemory<short> samples, CancellationToken cancellationToken)
    {
        if (samples.Length > _frame.Length || samples.Length % Format.Channels != 0)
        {
            throw new ArgumentException("At most one second of audio at a time, and for every channel as much.", nameof(samples));
        }

        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled(cancellationToken);
        }

        if (samples.IsEmpty)
        {
            return ValueTask.CompletedTask;
        }

        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_busy)
            {
                throw new InvalidOperationException("The previous frame has not been taken yet; await its capture first.");
            }

            _busy = true;
        }

        samples.Span.CopyTo(_frame);
        _captured.Reset();
        _error = null;
        Begin(samples.Length);
        return new ValueTask(this, _captured.Version);
    }

    /// <summary>Empties the queue: what has been captured but not sent is never heard.</summary>
    public void Clear()
    {
        lock (_gate)
        {
            if (!_disposed)
            {
                Interlocked.Exchange(ref _playedOutAt, 0);
                _client.Send(new FfiRequest { ClearAudioBuffer = new ClearAudioBufferRequest { SourceHandle = _handle.Id } });
            }
        }
    }

    /// <summary>Waits until all captured audio has been sent.</summary>
    public async Task WaitForPlayoutAsync(CancellationToken cancellationToken)
    {
        for (var left = QueuedDuration; left > TimeSpan.Zero; left = QueuedDuration)
        {
            await Task.Delay(left < TimeSpan.FromMilliseconds(20) ? left : TimeSpan.FromMilliseconds(20), _clock, cancellationToken);
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            _handle.Dispose();
            if (!_busy)
            {
                _client.UnlistenCapture(_captureId);
            }
        }
    }

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _captured.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _captured.OnCompleted(continuation, state, token, flags);

    void IValueTaskSource.GetResult(short token)
    {
        try
        {
            _captured.GetResult(token);
        }
        finally
        {
            // Not before: the next capture begins with the same source, and its end must not be taken for this one's.
            lock (_gate)
            {
                _busy = false;
                if (_disposed)
                {
                    _client.UnlistenCapture(_captureId);
                }
            }
        }
    }

    void IThreadPoolWorkItem.Execute()
    {
        var error = _error;
        if (error is null)
        {
            _captured.SetResult(true);
        }
        else
        {
            _captured.SetException(new RtcException($"The audio could not be captured: {error}"));
        }
    }

    /// <summary>On a thread of the library: the writer goes on elsewhere, and the work item is this object itself, so nothing is allocated.</summary>
    internal void OnCaptured(string? error)
    {
        lock (_gate)
        {
            if (!_busy)
            {
                return;
            }
        }

        _error = error;
        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    private unsafe void Begin(int length)
    {
        var samplesPerChannel = (uint)(length / Format.Channels);
        try
        {
            var data = (ulong)System.Runtime.CompilerServices.Unsafe.AsPointer(ref _frame[0]);
            Span<byte> buffer = stackalloc byte[AudioMessages.MaxRequestLength];
            var request = AudioMessages.CaptureRequest(
                buffer, _handle.Id, data, (uint)Format.Channels, (uint)Format.SampleRate, samplesPerChannel, _captureId);
            _client.Send(request, static _ => true, "CaptureAudioFrame");
        }
        catch
        {
            lock (_gate)
            {
                _busy = false;
            }

            throw;
        }

        var now = _clock.GetTimestamp();
        var duration = samplesPerChannel * _clock.TimestampFrequency / Format.SampleRate;
        Interlocked.Exchange(ref _playedOutAt, Math.Max(now, Interlocked.Read(ref _playedOutAt)) + duration);
    }
}
