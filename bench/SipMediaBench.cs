using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Sip.Media.Codecs;
using VoicePlatform.MediaServer.Sip.Media.Net;
using VoicePlatform.MediaServer.Transport;
using VoicePlatform.MediaServer.Transport.Rtp;

namespace VoicePlatform.Bench;

/// <summary>
/// The SIP gateway's media alone: 50 calls in G.711, all speaking, two in a room. What a phone says is decoded, encoded as Opus, decoded
/// for the other leg, mixed and encoded as G.711 again. The phones are in this process too, one thread sends for all and one receives.
/// </summary>
internal static class SipMediaBench
{
    private const int Calls = 50;
    private const int FrameBytes = 160;
    private const long FrameNs = 20_000_000;

    public static async Task RunAsync(TimeSpan duration, CancellationToken ct)
    {
        var options = new PhoneMediaOptions { Ports = (0, 0) };
        await using var media = new PhoneMedia(options, TimeProvider.System, NullLoggerFactory.Instance);
        media.Start();
        using var phones = new Phones();
        var legs = new PhoneSession[Calls];
        for (var i = 0; i < Calls; i++)
        {
            legs[i] = media.Open(new PhoneSessionOptions(), new Nobody());
            legs[i].CreateAnswer(phones.Offer(i));
            phones.Call(i, legs[i].Port);
        }

        for (var i = 0; i < Calls; i++)
        {
            legs[i].Connect(new Bridge(legs[i ^ 1].AddTrack("TR_other")));
        }

        phones.Start();
        var clock = TimeProvider.System;
        await Task.Delay(TimeSpan.FromSeconds(3), clock, ct);
        phones.Reset();
        var before = legs.Select(l => l.Statistics).ToArray();
        var (began, used, collections) = (clock.GetTimestamp(), Machine.ProcessorTime(Environment.ProcessId), GC.CollectionCount(0));
        await Task.Delay(duration, clock, ct);
        var (elapsed, time) = (clock.GetElapsedTime(began), Machine.ProcessorTime(Environment.ProcessId) - used);
        var after = legs.Select(l => l.Statistics).ToArray();
        phones.Stop();

        long Sum(Func<PhoneStatistics, long> of) => after.Sum(of) - before.Sum(of);
        var sent = Sum(s => s.PacketsSent);
        var concealed = Sum(s => (long)s.Concealed.TotalMilliseconds) / (Calls * elapsed.TotalMilliseconds);
        Console.WriteLine($"calls                {Calls} in G.711, {Calls / 2} rooms, all speaking, for {elapsed.TotalSeconds:0} s; Opus at 8 kHz, complexity {options.OpusComplexity}");
        Console.WriteLine($"sent by us           {sent} packets, {elapsed.TotalMilliseconds / 20 * Calls:0} due");
        Console.WriteLine($"not taken, left out  {Sum(s => s.NotSent)} by the system, {Sum(s => s.Skipped)} by us");
        Console.WriteLine($"lost on the way      {phones.Lost} of {phones.Received} at the phones   target: 0");
        Console.WriteLine($"more than 20 ms late {Sum(s => s.SentLate)} = {(double)Sum(s => s.SentLate) / Math.Max(1, sent):0.0000%}, worst {after.Max(s => s.MaxLateness).TotalMilliseconds:0.0} ms   target: <= 0.1 %");
        Console.WriteLine($"as a phone sees it   {phones.Uneven} intervals over 40 ms, longest {phones.LongestMs:0} ms");
        Console.WriteLine($"lost towards us      {Sum(s => s.Lost)}; the phones' thread was at worst {phones.WorstMs:0.0} ms late; concealed {concealed:0.000%}");
        Console.WriteLine($"delay in the buffers {after.Average(s => s.Buffered.TotalMilliseconds):0} ms on average");
        Console.WriteLine($"processor            {time / elapsed:0.0%} of one core with the phones, {GC.CollectionCount(0) - collections} garbage collections, {media.Faults} faults");
    }

    /// <summary>What one leg says is a track that the other hears.</summary>
    private sealed class Bridge(IAudioSink other) : IOpusOut
    {
        private ushort _sequence;
        private uint _timestamp;

        public void Send(ReadOnlySpan<byte> opus, uint samples, byte level)
        {
            other.OnFrame(_sequence++, _timestamp, opus);
            _timestamp += samples;
        }

        public void Skip(uint samples) => _timestamp += samples;
    }

    private sealed class Nobody : IPhoneObserver
    {
        public void OnDtmf(char digit, int durationMs)
        {
            // Nobody presses keys.
        }

        public void OnMediaTimeout() => Console.WriteLine("a call timed out");

        public void OnFirstAudio()
        {
            // Expected of all.
        }
    }

    private sealed class Phones : IDisposable
    {
        private readonly Socket[] _sockets = [.. Enumerable.Range(0, Calls).Select(_ => Open())];
        private readonly SocketAddress[] _legs = new SocketAddress[Calls];
        private readonly SocketPoll _poll = new();
        private readonly ushort[] _next = new ushort[Calls];
        private readonly long[] _lastNs = new long[Calls];
        private readonly byte[][] _speech = [.. Enumerable.Range(0, 50).Select(Speech)];
        private volatile bool _isStopping;
        private Thread? _speaker;
        private Thread? _listener;
        private long _worstNs;
        private long _longestNs;

        public long Received { get; private set; }

        public long Lost { get; private set; }

        public long Uneven { get; private set; }

        public double LongestMs => _longestNs / 1e6;

        public double WorstMs => _worstNs / 1e6;

        public string Offer(int phone) =>
            $"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {((IPEndPoint)_sockets[phone].LocalEndPoint!).Port} RTP/AVP 0\r\n";

        public void Call(int phone, int port) => _legs[phone] = new IPEndPoint(IPAddress.Loopback, port).Serialize();

        public void Start()
        {
            for (var i = 0; i < Calls; i++)
            {
                _poll.Watch(_sockets[i], i);
            }

            (_speaker, _listener) = (new Thread(Speak), new Thread(Listen));
            _speaker.Start();
            _listener.Start();
        }

        public void Reset() => (Received, Lost, Uneven, _worstNs, _longestNs) = (0, 0, 0, 0, 0);

        public void Stop()
        {
            _isStopping = true;
            _speaker?.Join();
            _listener?.Join();
        }

        public void Dispose()
        {
            Stop();
            foreach (var socket in _sockets)
            {
                socket.Dispose();
            }

            _poll.Dispose();
        }

        private static Socket Open()
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveBufferSize = 1 << 20 };
            socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            return socket;
        }

        /// <summary>A second of a gliding, pulsing tone with overtones: never silent, and no easy prey for Opus.</summary>
        private static byte[] Speech(int frame)
        {
            var (pcm, payload) = (new short[FrameBytes], new byte[FrameBytes]);
            for (var i = 0; i < FrameBytes; i++)
            {
                var t = ((frame * FrameBytes) + i) / 8_000.0;
                var voice = Math.Sin(800 * t) + (0.5 * Math.Sin(1_700 * t)) + (0.3 * Math.Sin((6_000 + (3_000 * t)) * t));
                pcm[i] = (short)(4_000 * voice * (0.6 + (0.4 * Math.Sin(25 * t))));
            }

            G711.Mu.Encode(pcm, payload);
            return payload;
        }

        private void Speak()
        {
            Pacing.Prefer();
            var senders = _sockets.Select(s => new UdpSender(s)).ToArray();
            var packet = new byte[RtpPacket.HeaderLength + FrameBytes];
            var due = System.Diagnostics.Stopwatch.GetTimestamp();
            for (var n = 0; !_isStopping; n++)
            {
                Pacing.SleepUntil(due += FrameNs);
                _worstNs = Math.Max(_worstNs, System.Diagnostics.Stopwatch.GetTimestamp() - due);
                for (var i = 0; i < Calls; i++)
                {
                    RtpPacket.WriteHeader(packet, 0, n == 0, (ushort)n, (uint)(n * FrameBytes), (uint)(i + 1), 0, 0, 0, default);
                    _speech[(n + i) % _speech.Length].CopyTo(packet, RtpPacket.HeaderLength);
                    senders[i].TrySend(packet, _legs[i]);
                }
            }
        }

        private void Listen()
        {
            Pacing.Prefer();
            var ids = new long[64];
            var buffer = new byte[2_048];
            var from = new SocketAddress(AddressFamily.InterNetwork);
            while (!_isStopping)
            {
                var count = _poll.Wait(ids, 100);
                var now = System.Diagnostics.Stopwatch.GetTimestamp();
                foreach (var id in ids.AsSpan(0, count))
                {
                    while (SocketPoll.Receive(_sockets[id].SafeHandle, buffer, from) is var length and >= 0)
                    {
                        Take((int)id, buffer.AsSpan(0, length), now);
                    }
                }
            }
        }

        private void Take(int phone, ReadOnlySpan<byte> datagram, long now)
        {
            if (RtpPacket.IsRtcp(datagram) || !RtpPacket.TryRead(datagram, out var packet))
            {
                return;
            }

            if (_lastNs[phone] != 0)
            {
                Lost += (ushort)(packet.Sequence - _next[phone]);
                var interval = now - _lastNs[phone];
                _longestNs = Math.Max(_longestNs, interval);
                Uneven += interval > 2 * FrameNs ? 1 : 0;
            }

            (_next[phone], _lastNs[phone]) = ((ushort)(packet.Sequence + 1), now);
            Received++;
        }
    }
}
