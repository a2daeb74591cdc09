using System.Diagnostics;
using System.Net.Sockets;
using Npgsql;
using VoicePlatform.Host;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Tenants;

/// <summary>A real PgBouncer between the host and PostgreSQL: by session nothing changes, any other way tenants could not be kept apart, and the host says so.</summary>
internal sealed class PoolerTests
{
    private TestDatabase _database = null!;

    [SetUp]
    public async Task SetUpAsync() => _database = await TestDatabase.CreateAsync();

    [TearDown]
    public async Task TearDownAsync() => await _database.DisposeAsync();

    [Test]
    public async Task By_session_everything_works_and_each_tenant_sees_its_own()
    {
        await using var pooler = await PgBouncer.StartAsync(_database.App, "session");
        await using var host = await TestHost.StartAsync(("DATABASE_URL", pooler.Url));
        await using var source = NpgsqlDataSource.Create(pooler.Url);
        Assert.That(async () => await SharedConnections.CheckAsync(source, CancellationToken.None), Throws.Nothing);

        // More at once than there are connections: each serves one tenant after the other.
        await Parallel.ForEachAsync(Enumerable.Range(0, 12), new ParallelOptions { MaxDegreeOfParallelism = 12 }, async (n, _) =>
        {
            var tenant = await host.SignUpAsync($"Tenant {n}");
            var session = await tenant.StartTextSessionAsync(await tenant.CreateAssistantAsync(), new { name = $"Caller {n}" });
            var reply = await tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "What is my name?" });
            Assert.That(reply.Body!.ToJsonString(), Does.Contain($"Your name is Caller {n}."));
            Assert.That((await tenant.PostAsync($"/v1/sessions/{session}/end")).Status, Is.EqualTo(System.Net.HttpStatusCode.OK));
            var (assistants, sessions) = (await tenant.GetAsync("/v1/assistants"), await tenant.GetAsync("/v1/sessions"));
            Assert.That(assistants.Body!["data"]!.AsArray(), Has.Count.EqualTo(1));
            Assert.That(sessions.Body!["data"]!.AsArray().Select(s => s!["id"]!.GetValue<string>()), Is.EqualTo([session]));
            Assert.That((await tenant.BalanceAsync()).Held, Is.Zero);
        });
    }

    [TestCase("transaction")]
    [TestCase("transaction", "server_reset_query_always = 1")]
    [TestCase("statement")]
    public async Task Any_other_way_is_refused_in_a_sentence_that_says_what_to_do(string mode, string more = "")
    {
        await using var pooler = await PgBouncer.StartAsync(_database.App, mode, more);
        await using var source = NpgsqlDataSource.Create(pooler.Url);
        Assert.That(
            async () => await SharedConnections.CheckAsync(source, CancellationToken.None),
            Throws.InstanceOf<SettingsException>().With.Message.Contains("DATABASE_URL").And.Message.Contains("by session"));
    }

    private sealed class PgBouncer : IAsyncDisposable
    {
        private readonly DirectoryInfo _folder;
        private readonly Process _process;
        private readonly Task<string> _said;

        private PgBouncer(DirectoryInfo folder, Process process, string url) =>
            (_folder, _process, _said, Url) = (folder, process, process.StandardError.ReadToEndAsync(), url);

        public string Url { get; }

        public static async Task<PgBouncer> StartAsync(string database, string mode, string more = "")
        {
            var (behind, port) = (new NpgsqlConnectionStringBuilder(database), Ports.Next());
            var folder = Directory.CreateTempSubdirectory("pgbouncer");
            var file = Path.Combine(folder.FullName, "pooler.ini");
            await File.WriteAllTextAsync(file, $"""
                [databases]
                {behind.Database} = host={behind.Host} port={behind.Port} user={behind.Username}
                [pgbouncer]
                listen_addr = 127.0.0.1
                listen_port = {port}
                unix_socket_dir =
                auth_type = any
                pool_mode = {mode}
                default_pool_size = 40
                {more}

                """);
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(folder.FullName, (UnixFileMode)Convert.ToInt32("755", 8));
            }

            // It refuses to run as root.
            string[] command = Environment.UserName == "root" ? ["runuser", "-u", "postgres", "--", "/usr/sbin/pgbouncer", "-q", file] : ["/usr/sbin/pgbouncer", "-q", file];
            Process process;
            try
            {
                process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { UseShellExecute = false, RedirectStandardError = true })!;
            }
            catch (System.ComponentModel.Win32Exception)
            {
                Assert.Ignore("PgBouncer is needed for the tests with it: eng/system-packages test.");
                throw;
            }

            var pooler = new PgBouncer(folder, process, $"Host=127.0.0.1;Port={port};Database={behind.Database};Username=any;Password=any");
            Assert.That(() => process.HasExited || Answers(port), Is.True.After(10_000, 20));
            if (process.HasExited)
            {
                Assert.Fail(await pooler._said);
            }

            return pooler;
        }

        public async ValueTask DisposeAsync()
        {
            if (!_process.HasExited)
            {
                _process.Kill(entireProcessTree: true);
                await _process.WaitForExitAsync();
            }

            await _said;
            _process.Dispose();
            _folder.Delete(recursive: true);
        }

        private static bool Answers(int port)
        {
            using var client = new TcpClient();
            try
            {
                client.Connect("127.0.0.1", port);
                return true;
            }
            catch (SocketException)
            {
                return false;
            }
        }
    }
}
