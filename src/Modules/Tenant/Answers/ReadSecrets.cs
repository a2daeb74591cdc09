using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Answers;

internal sealed class ReadSecretsHandler(TenantDb db, SecretBox box) : IRequestHandler<ReadSecrets, Result<TenantSecrets>>
{
    public async Task<Result<TenantSecrets>> Handle(ReadSecrets request, CancellationToken cancellationToken)
    {
        var rows = await db.Secrets.AsNoTracking()
            .Where(s => s.TenantId == request.TenantId && request.Names.Contains(s.Name))
            .ToListAsync(cancellationToken);
        return new TenantSecrets(rows.ToDictionary(s => s.Name, s => s.Open(box)));
    }
}
