using System.Security.Cryptography;
using System.Text;
using Npgsql;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.IntegrationTests.Seeds;

internal static class CompatKey
{
    /// <summary>A key for the tenant that the host made for itself, to look at what its doors have done.</summary>
    public static async Task<TestTenant> CompatTenantAsync(this TestHost host)
    {
        var text = $"lvk_{Guid.CreateVersion7():N}{Guid.CreateVersion7():N}";
        await using var source = NpgsqlDataSource.Create(host.Database.Owner);
        await using var insert = source.CreateCommand(
            """
            INSERT INTO tenant.keys (id, tenant_id, user_id, name, hash, hint, scopes, mode, created_at)
            SELECT $1, c.tenant, u.id, 'test', $2, '', '{admin,operate,read,finance}', 'live', now() FROM session.compat c JOIN tenant.users u ON u.tenant_id = c.tenant
            RETURNING tenant_id
            """);
        insert.Parameters.Add(new() { Value = Ids.New(Ids.Key, TimeProvider.System.GetUtcNow()) });
        insert.Parameters.Add(new() { Value = SHA256.HashData(Encoding.UTF8.GetBytes(text)) });
        return new TestTenant(host, text, (string)(await insert.ExecuteScalarAsync())!);
    }
}
