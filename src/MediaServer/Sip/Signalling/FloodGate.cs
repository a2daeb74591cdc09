using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>
/// A token bucket for each source of requests outside of calls, and one for all incoming calls. Bounded: with too many sources at once
/// all of the newer ones share one bucket.
/// </summary>
internal sealed class FloodGate(UserAgentOptions options, TimeProvider clock)
{
    private const int MaxSources = 10_000;
    private const int BurstSeconds = 4;

    private readonly ConcurrentDictionary<IPAddress, Bucket> _sources = new();
    private readonly Bucket _rest = new(options.RequestsPerSecondPerSource);
    private readonly Bucket _calls = new(options.InvitesPerSecond);
    private long _sweptAt = clock.GetTimestamp();

    public bool AdmitsRequest(IPAddress source)
    {
        Sweep();
        var key = KeyOf(source);
        if (!_sources.TryGetValue(key, out var bucket))
        {
            bucket = _sources.Count < MaxSources ? _sources.GetOrAdd(key, _ => new Bucket(options.RequestsPerSecondPerSource)) : _rest;
        }

        return bucket.TryTake(clock);
    }

    public bool AdmitsCall() => _calls.TryTake(clock);

    /// <summary>Whoever has an IPv6 /64 has all its addresses.</summary>
    private static IPAddress KeyOf(IPAddress source)
    {
        if (source.AddressFamily != AddressFamily.InterNetworkV6 || source.IsIPv4MappedToIPv6)
        {
            return source;
        }

        var bytes = source.GetAddressBytes();
        bytes.AsSpan(8).Clear();
        return new IPAddress(bytes);
    }

    private void Sweep()
    {
        var sweptAt = Volatile.Read(ref _sweptAt);
        if (clock.GetElapsedTime(sweptAt) < TimeSpan.FromSeconds(10) || Interlocked.CompareExchange(ref _sweptAt, clock.GetTimestamp(), sweptAt) != sweptAt)
        {
            return;
        }

        foreach (var (source, bucket) in _sources)
        {
            if (bucket.IsFull(clock))
            {
                _sources.TryRemove(source, out _);
            }
        }
    }

    private sealed class Bucket(int perSecond)
    {
        private readonly Lock _lock = new();        // protects the two fields below
        private double _tokens = perSecond * BurstSeconds;
        private long _filledAt;

        public bool TryTake(TimeProvider clock)
        {
            lock (_lock)
            {
                Fill(clock);
                if (_tokens < 1)
                {
                    return false;
                }

                _tokens--;
                return true;
            }
        }

        public bool IsFull(TimeProvider clock)
        {
            lock (_lock)
            {
                Fill(clock);
                return _tokens >= perSecond * BurstSeconds;
            }
        }

        private void Fill(TimeProvider clock)
        {
            var now = clock.GetTimestamp();
            if (_filledAt != 0)
            {
                _tokens = Math.Min(perSecond * BurstSeconds, _tokens + (clock.GetElapsedTime(_filledAt, now).TotalSeconds * perSecond));
            }

            _filledAt = now;
        }
    }
}
