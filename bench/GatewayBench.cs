using System.Diagnostics;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.ServerApi;
using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Sip.Media.Codecs;

namespace VoicePlatform.Bench;

/// <summary>
/// The SIP gateway with real peers: SIPp makes 50 calls in G.711 that speak all the time; two calls at a time meet in a room. Signalling,
/// rooms, forwarding, decoding and encoding both ways, in a media server of its own process.
/// </summary>
internal static class GatewayBench
{
    private const int Calls = 50;

    private const string Scenario =
        """
        <?xml version="1.0" encoding="UTF-8"?>
        <scenario name="a caller who speaks">
          <send retrans="500"><![CDATA[
            INVITE sip:[field0]@[remote_ip]:[remote_port] SIP/2.0
            Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
            From: <sip:[field1]@[local_ip]:[local_port]>;tag=[call_number]
            To: <sip:[field0]@[remote_ip]:[remote_port]>
            Call-ID: [call_id]
            CSeq: 1 INVITE
            Contact: <sip:[field1]@[local_ip]:[local_port]>
            Max-Forwards: 70
            Content-Type: application/sdp
            Content-Length: [len]

            v=0
            o=sipp 1 1 IN IP4 [local_ip]
            s=-
            c=IN IP4 [media_ip]
            t=0 0
            m=audio [rtpstream_audio_port] RTP/AVP 0
            a=rtpmap:0 PCMU/8000
          ]]></send>
          <recv response="100" optional="true"/>
          <recv response="180" optional="true"/>
          <recv response="200" rrs="true"/>
          <send><![CDATA[
            ACK [next_url] SIP/2.0
            Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
            From: <sip:[field1]@[local_ip]:[local_port]>;tag=[call_number]
            To: <sip:[field0]@[remote_ip]:[remote_port]>[peer_tag_param]
            Call-ID: [call_id]
            CSeq: 1 ACK
            Max-Forwards: 70
            Content-Length: 0

          ]]></send>
          <nop><action><exec rtp_stream="speech.ul,-1,0,PCMU/8000"/></action></nop>
          <pause milliseconds="MILLISECONDS"/>
          <send retrans="500"><![CDATA[
            BYE [next_url] SIP/2.0
            Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
            From: <sip:[field1]@[local_ip]:[local_port]>;tag=[call_number]
            To: <sip:[field0]@[remote_ip]:[remote_port]>[peer_tag_param]
            Call-ID: [call_id]
            CSeq: 2 BYE
            Max-Forwards: 70
            Content-Length: 0

          ]]></send>
          <recv response="200"/>
        </scenario>
        """;

    public static async Task RunAsync(TimeSpan duration, CancellationToken ct)
    {
        using var server = await ServerProcess.StartAsync(ct);
        using var http = new HttpClient();
        var api = new LiveKitApi(http, server.Server, TimeProvider.System);
        var trunk = await api.Sip.CreateInboundTrunkAsync(new SIPInboundTrunkInfo { Name = "sipp", AllowedAddresses = { "127.0.0.1" } }, ct);
        await api.Sip.CreateDispatchRuleAsync(
            new SIPDispatchRuleInfo { TrunkIds = { trunk.SipTrunkId }, Rule = new SIPDispatchRule { DispatchRuleCallee = new SIPDispatchRuleCallee { RoomPrefix = "pair" } } }, ct);
        var folder = Directory.CreateTempSubdirectory("bench-").FullName;
        await PrepareAsync(folder, duration + TimeSpan.FromSeconds(20), ct);
        using var sipp = Process.Start(new ProcessStartInfo(
            "sipp", [$"127.0.0.1:{server.SipPort}", "-sf", "calls.xml", "-inf", "numbers.csv", "-l", $"{Calls}", "-m", $"{Calls}", "-r", "25", "-i", "127.0.0.1", "-mi", "127.0.0.1", "-nostdin", "-timeout", "900s"])
        {
            WorkingDirectory = folder,
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        _ = sipp.StandardOutput.ReadToEndAsync(ct);
        _ = sipp.StandardError.ReadToEndAsync(ct);
        try
        {
            while ((await server.AskTelephonesAsync(ct)).Count(s => s.PacketsSent > 50) < Calls)
            {
                if (sipp.HasExited)
                {
                    throw new InvalidOperationException("SIPp ended: is the package sip-tester installed?");
                }

                await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, ct);
            }

            await Task.Delay(TimeSpan.FromSeconds(3), TimeProvider.System, ct);
            var clock = TimeProvider.System;
            var before = await server.AskTelephonesAsync(ct);
            var (began, used) = (clock.GetTimestamp(), Machine.ProcessorTime(server.Pid));
            await Task.Delay(duration, clock, ct);
            var (elapsed, time) = (clock.GetElapsedTime(began), Machine.ProcessorTime(server.Pid) - used);
            Report(before, await server.AskTelephonesAsync(ct), elapsed, time);
            await sipp.WaitForExitAsync(ct);
            Console.WriteLine($"SIPp                 exit code {sipp.ExitCode} (0: every call went as its scenario says)");
        }
        finally
        {
            if (!sipp.HasExited)
            {
                sipp.Kill();
            }

            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Report(IReadOnlyList<PhoneStatistics> before, IReadOnlyList<PhoneStatistics> after, TimeSpan elapsed, TimeSpan time)
    {
        long Sum(Func<PhoneStatistics, long> of) => after.Sum(of) - before.Sum(of);
        var sent = Sum(s => s.PacketsSent);
        Console.WriteLine($"calls                {after.Count} in G.711 from SIPp, {after.Count / 2} rooms, all speaking, for {elapsed.TotalSeconds:0} s; Opus at 8 kHz, complexity {new PhoneMediaOptions().OpusComplexity}");
        Console.WriteLine($"sent by us           {sent} packets, {elapsed.TotalMilliseconds / 20 * Calls:0} due");
        Console.WriteLine($"lost by us           {Sum(s => s.NotSent)} not taken by the system, {Sum(s => s.Skipped)} left out   target: 0");
        Console.WriteLine($"more than 20 ms late {Sum(s => s.SentLate)} = {(double)Sum(s => s.SentLate) / Math.Max(1, sent):0.0000%}, worst {after.Max(s => s.MaxLateness).TotalMilliseconds:0.0} ms   target: <= 0.1 %");
        Console.WriteLine($"received             {Sum(s => s.PacketsReceived)}, lost towards us {Sum(s => s.Lost)}, too late {Sum(s => s.Late)}");
        Console.WriteLine($"delay in the buffers {after.Average(s => s.Buffered.TotalMilliseconds):0} ms on average");
        Console.WriteLine($"processor            {time / elapsed:0.0%} of one core");
    }

    private static async Task PrepareAsync(string folder, TimeSpan duration, CancellationToken ct)
    {
        await File.WriteAllTextAsync(Path.Combine(folder, "calls.xml"), Scenario.Replace("MILLISECONDS", $"{duration.TotalMilliseconds:0}", StringComparison.Ordinal), ct);
        await File.WriteAllLinesAsync(
            Path.Combine(folder, "numbers.csv"), ["SEQUENTIAL", .. Enumerable.Range(0, Calls).Select(i => $"+1555{i / 2:0000};+1666{i:0000};")], ct);
        var speech = await Demo.Tools.SpeakAsync("We are open from nine in the morning until ten in the evening, and nobody stops talking.", ct);
        short[] narrow = [.. speech.Where((_, i) => i % 2 == 0)];
        var encoded = new byte[narrow.Length];
        _ = G711.Mu.Encode(narrow, encoded);
        await File.WriteAllBytesAsync(Path.Combine(folder, "speech.ul"), encoded, ct);
    }
}
