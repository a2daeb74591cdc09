using System.Buffers;
using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Sip.Media.Dtmf;

/// <summary>What is sent instead of sound for 20 ms.</summary>
internal enum DtmfMoment
{
    /// <summary>Nothing: sound goes on.</summary>
    None,

    /// <summary>A key is down.</summary>
    Press,

    /// <summary>A key was let go: one of three end packets.</summary>
    End,

    /// <summary>Silence before the next key.</summary>
    Gap,
}

/// <param name="Event">Number of the key (RFC 4733 section 3.2).</param>
/// <param name="Ticks">Of 20 ms, how long the key has been down, this one included.</param>
/// <param name="IsFirst">The key goes down.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct DtmfStep(DtmfMoment Moment, byte Event, int Ticks, bool IsFirst);

/// <summary>Keys to be pressed, one after the other: 100 ms down, 100 ms up.</summary>
internal sealed class DtmfSender : IDisposable
{
    private const int MaxDigits = 256;
    private const int MaxWaiting = 16;
    private const int PressTicks = 5;
    private const int EndPackets = 3;
    private const int GapTicks = 5;         // the end packets are its beginning
    private const int WaitTicks = 25;

    private static readonly SearchValues<char> s_valid = SearchValues.Create("0123456789*#ABCDabcdwW");

    private readonly Lock _gate = new();    // guards the queue
    private readonly Queue<Request> _waiting = new();
    private Request? _current;
    private int _at;            // next digit of the current request
    private int _tick;          // of the current digit
    private int _digit = -1;    // number of the current key, -1: none
    private int _pause;
    private bool _isDisposed;
    private long _sent;

    public long Sent => Volatile.Read(ref _sent);

    public Task EnqueueAsync(string digits, CancellationToken ct)
    {
        if (digits.Length is 0 or > MaxDigits)
        {
            throw new ArgumentException($"There must be 1 to {MaxDigits} keys.", nameof(digits));
        }

        var wrong = digits.AsSpan().IndexOfAnyExcept(s_valid);
        if (wrong >= 0)
        {
            throw new ArgumentException($"'{digits[wrong]}' is no key: there are 0-9, *, #, A-D, and w to wait half a second.", nameof(digits));
        }

        var request = new Request(digits);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (_waiting.Count >= MaxWaiting)
            {
                throw new InvalidOperationException("Too many keys wait to be pressed.");
            }

            _waiting.Enqueue(request);
        }

        request.Watch(ct);
        return request.Done.Task;
    }

    /// <summary>Goes on by 20 ms.</summary>
    public DtmfStep Step()
    {
        if (_digit < 0 && _pause == 0 && !TryNext())
        {
            return default;
        }

        if (_digit < 0)
        {
            _pause--;
            return new DtmfStep(DtmfMoment.Gap, 0, 0, false);
        }

        var (number, tick) = ((byte)_digit, _tick++);
        if (tick < PressTicks)
        {
            return new DtmfStep(DtmfMoment.Press, number, tick + 1, tick == 0);
        }

        if (tick < PressTicks + EndPackets)
        {
            if (tick == PressTicks)
            {
                Volatile.Write(ref _sent, _sent + 1);
            }

            return new DtmfStep(DtmfMoment.End, number, PressTicks, false);
        }

        (_digit, _pause) = (-1, GapTicks - EndPackets - 1);
        return new DtmfStep(DtmfMoment.Gap, 0, 0, false);
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _isDisposed = true;
            while (_waiting.TryDequeue(out var request))
            {
                request.Cancel();
            }
        }

        _current?.Cancel();
    }

    private static int NumberOf(char digit) => DtmfReceiver.Digits.IndexOf(char.ToUpperInvariant(digit), StringComparison.Ordinal);

    private bool TryNext()
    {
        while (true)
        {
            if (_current is not null && (_at >= _current.Digits.Length || _current.Done.Task.IsCompleted))
            {
                _current.Complete();
                _current = null;
            }

            if (_current is null)
            {
                lock (_gate)
                {
                    if (!_waiting.TryDequeue(out _current))
                    {
                        return false;
                    }
                }

                _at = 0;
                continue;       // it may have been cancelled
            }

            var number = NumberOf(_current.Digits[_at++]);
            (_digit, _tick, _pause) = (number, 0, number < 0 ? WaitTicks : 0);
            return true;
        }
    }

    private sealed class Request(string digits)
    {
        private CancellationTokenRegistration _registration;

        public string Digits => digits;

        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Watch(CancellationToken ct) =>
            _registration = ct.UnsafeRegister(static (done, token) => ((TaskCompletionSource)done!).TrySetCanceled(token), Done);

        public void Complete()
        {
            Done.TrySetResult();
            _registration.Dispose();
        }

        public void Cancel()
        {
            Done.TrySetCanceled(CancellationToken.None);
            _registration.Dispose();
        }
    }
}
