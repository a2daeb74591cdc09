using System.Diagnostics;
using System.Text.Json.Nodes;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Contract;

/// <summary>The TypeScript client: compiled strictly against the document, then run by Node.js against the real host.</summary>
internal sealed class TypeScriptClientTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    [Test]
    public async Task A_program_in_TypeScript_makes_an_assistant_talks_to_it_and_reads_the_ledger()
    {
        await RunAsync("bash", Path.Combine(Sources.Folder, "eng", "client-typescript"));
        await using var host = await TestHost.StartAsync();
        var tenant = await host.SignUpAsync();

        var told = await RunAsync("node", Path.Combine(Sources.Folder, "artifacts", "clients", "typescript", "test", "drive.js"), host.Http.BaseAddress!.ToString().TrimEnd('/'), tenant.Key);

        var saw = JsonNode.Parse(told)!;
        Assert.Multiple(() =>
        {
            Assert.That(saw["replayed"]!.GetValue<bool>(), Is.True);
            Assert.That(saw["retention"]!.GetValue<int>(), Is.EqualTo(30));
            Assert.That(saw["stale"]!.GetValue<string>(), Is.EqualTo("412 etag.changed"));
            Assert.That(saw["reply"]!.GetValue<string>(), Is.EqualTo("Your name is Ada."));
            Assert.That(saw["status"]!.GetValue<string>(), Is.EqualTo("ended"));
            Assert.That(saw["cost"]!.GetValue<long>(), Is.EqualTo(10_000));
            Assert.That(saw["kinds"]!.AsArray(), Is.Not.Empty);
            Assert.That(saw["refused"]!.AsArray().Select(f => f!.GetValue<string>()), Is.EqualTo(new[] { "url" }));
        });
    }

    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
        using var patience = new CancellationTokenSource(Patience, TimeProvider.System);
        var output = process.StandardOutput.ReadToEndAsync(patience.Token);
        var errors = process.StandardError.ReadToEndAsync(patience.Token);
        await process.WaitForExitAsync(patience.Token);
        Assert.That(process.ExitCode, Is.Zero, $"{program} {arguments[0]}: {await errors} {await output}");
        return await output;
    }
}
