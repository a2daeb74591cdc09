using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.MediaServer.Sip.Media;

namespace VoicePlatform.IntegrationTests.MediaServer.Sip.Media;

/// <summary>Packets that other people's telephones sent, as SIPp brings them along for its tests.</summary>
[RealTime]
internal sealed class SippCaptureTests : IPhoneObserver, IPcmSink
{
    private const string Folder = "/usr/share/sip-tester";

    private readonly Lock _gate = new();
    private readonly List<short> _heard = [];
    private string _digits = "";

    [Test]
    public async Task Recorded_keys_and_recorded_speech_are_heard()
    {
        await using var media = new PhoneMedia(new PhoneMediaOptions { Ports = (0, 0) }, TimeProvider.System, NullLoggerFactory.Instance);
        media.Start();
        using var phone = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        phone.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        using var session = media.Open(new PhoneSessionOptions(), this);
        session.Listen(this);
        session.CreateAnswer(
            $"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {((IPEndPoint)phone.LocalEndPoint!).Port} RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n");
        var leg = new IPEndPoint(IPAddress.Loopback, session.Port);
        foreach (var key in new[] { "1", "9", "star", "0", "pound" })
        {
            await PlayAsync(phone, leg, $"dtmf_2833_{key}.pcap", int.MaxValue);
        }

        Assert.That(() => _digits, Is.EqualTo("19*0#").After(10_000, 20));
        await PlayAsync(phone, leg, "g711a.pcap", 70);
        var statistics = session.Statistics;
        Assert.That(statistics.Refused, Is.Zero);
        Assert.That(statistics.Concealed.TotalMilliseconds, Is.LessThan(200));
        lock (_gate)
        {
            var loud = _heard.Count(s => Math.Abs((int)s) > 300);
            Assert.That(loud, Is.GreaterThan(500), "somebody speaks");
        }
    }

    void IPhoneObserver.OnDtmf(char digit, int durationMs) => _digits += digit;

    void IPhoneObserver.OnMediaTimeout() => Assert.Fail("The phone was not silent.");

    void IPhoneObserver.OnFirstAudio()
    {
        // Of no interest here.
    }

    void IPcmSink.OnPcm(ReadOnlySpan<short> pcm, int rate)
    {
        lock (_gate)
        {
            _heard.AddRange(pcm);
        }
    }

    private static async Task PlayAsync(Socket phone, IPEndPoint to, string file, int most)
    {
        var clock = TimeProvider.System;
        var began = clock.GetTimestamp();
        TimeSpan? first = null;
        foreach (var (at, packet) in Read(await File.ReadAllBytesAsync(Path.Combine(Folder, file))).Take(most))
        {
            first ??= at;
            var wait = at - first.Value - clock.GetElapsedTime(began);
            if (wait > TimeSpan.Zero)
            {
                await Task.Delay(wait, clock);
            }

            phone.SendTo(packet, to);
        }
    }

    /// <summary>The UDP payloads of a capture (libpcap format, Ethernet, IPv4), with their times.</summary>
    private static IEnumerable<(TimeSpan At, byte[] Packet)> Read(byte[] file)
    {
        for (var at = 24; at + 16 <= file.Length;)
        {
            var seconds = BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at));
            var microseconds = BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 4));
            var length = BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(at + 8));
            var ip = at + 16 + 14;
            var udp = ip + (4 * (file[ip] & 0x0F));
            yield return (TimeSpan.FromMicroseconds((seconds * 1e6) + microseconds), file[(udp + 8)..(at + 16 + length)]);
            at += 16 + length;
        }
    }
}
