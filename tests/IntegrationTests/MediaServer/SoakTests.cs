using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.MediaServer;

namespace VoicePlatform.IntegrationTests.MediaServer;

/// <summary>Thirty native clients come and go with audio and data; afterwards nothing may be left of them.</summary>
[Explicit("takes minutes and two processor cores")]
internal sealed class SoakTests
{
    [Test]
    public async Task Nothing_is_left_of_clients_that_came_and_went()
    {
        Environment.SetEnvironmentVariable("SOAK_SECONDS", Environment.GetEnvironmentVariable("SOAK_SECONDS") ?? "20");
        var options = new MediaServerOptions
        {
            ApiKeys = new Dictionary<string, string> { ["devkey"] = "secret-secret-secret-secret-secret" },
            Port = 0,
            MediaUdpPort = 0,
            DepartureTimeout = TimeSpan.FromSeconds(1),
        };
        await using var server = new EmbeddedServer(options, TimeProvider.System, NullLoggerFactory.Instance);
        await server.StartAsync(CancellationToken.None);
        for (var round = 0; round < 4; round++)
        {
            await using var script = await NodeScript.StartAsync("soak.mjs", server.Url, "devkey", options.ApiKeys["devkey"]);
            var told = await script.StepAsync("soaked");
            await script.StepAsync("end");
            var started = TimeProvider.System.GetTimestamp();
            while (server.Rooms.All.Count > 0 && TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(10))
            {
                await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
            }

            GC.Collect();
            GC.WaitForPendingFinalizers();
            var handles = Directory.GetFiles("/proc/self/fd").Length;
            await TestContext.Progress.WriteLineAsync(
                $"round {round}: {told}; {Environment.WorkingSet >> 20} MiB, managed {GC.GetTotalMemory(forceFullCollection: true) >> 20} MiB, {handles} handles, "
                + $"peers {server.Transport.PeerCount}, faults {server.Transport.Counters.Faults}, not sent {server.Transport.Counters.SendFailed}");
            Assert.That(told.GetProperty("failures").GetInt32(), Is.Zero, told.GetProperty("failure").GetString());
            Assert.That(server.Rooms.All, Is.Empty);
            Assert.That((server.Transport.PeerCount, server.Transport.Counters.Faults), Is.EqualTo((0, 0L)));
        }
    }
}
